"""How a value enters what a shell, a program or a remote machine reads, without ever being read as code there."""
