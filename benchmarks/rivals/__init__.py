"""What people use today, each a script that runs by itself in the rivals' environment."""
