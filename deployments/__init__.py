"""What is deployed (pools, automations, deployments) and the programs that apply and check it."""
