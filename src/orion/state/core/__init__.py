"""What all tables and commands share."""
