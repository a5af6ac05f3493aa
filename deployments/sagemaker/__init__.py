"""What SageMaker needs outside this project: the training image, rights, a dashboard."""
