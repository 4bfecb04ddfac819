"""What we run on: databases, the broker, and doors to the outside."""
