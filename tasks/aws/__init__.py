"""What this project asks of AWS: sessions, requests, channels, prices; plain boto3, imported inside functions."""
