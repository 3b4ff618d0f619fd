"""What people accept of the privacy policy, and who is told when it changes."""
