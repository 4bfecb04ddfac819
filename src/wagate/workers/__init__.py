"""What runs by itself: leases, runners, clean-up."""
