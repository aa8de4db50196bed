"""What an administrator does, each action once; the command and the web pages only show it."""
