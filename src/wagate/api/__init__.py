"""What clients call: operations, credentials, and the answers they see."""
