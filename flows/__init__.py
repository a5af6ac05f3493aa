"""Flows: order and fan-out, one flow per file. No torch, no boto3, no logic of their own."""
