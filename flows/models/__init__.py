"""Commands about models that are made: measured again, published. One file a command."""
