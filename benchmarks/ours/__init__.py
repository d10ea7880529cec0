"""What of scalefit no command does alone, each a script that runs by itself."""
