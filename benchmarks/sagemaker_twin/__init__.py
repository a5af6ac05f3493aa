"""A local twin of SageMaker's training API that really runs the jobs: ``python -m benchmarks.sagemaker_twin``.

It speaks the API's own protocol, refuses what the API refuses, runs the entry point of a job as process 1 of its own
namespace with ``/opt/ml`` laid out, and can take the machine away in every way that Spot can. Everything that is not a
training job (objects, logs, metrics, the model registry) is kept by moto behind it.

What it does not do: container images (jobs run with this interpreter and its packages), Pipe and FastFile input,
instance groups, rights.
"""
