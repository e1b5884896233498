"""What only NCCL has: the account that its RAS service gives of all communicators of a job."""
