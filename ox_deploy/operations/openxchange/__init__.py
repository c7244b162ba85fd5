"""Open-Xchange on a groupware node, whichever product it is: what is particular to one is told by its arguments."""
