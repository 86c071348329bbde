"""The zone network: what it is shown, how its bundle is opened, and how it draws."""
