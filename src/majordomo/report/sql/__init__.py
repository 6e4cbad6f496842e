"""The questions, one SQL file each."""
