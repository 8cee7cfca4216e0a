"""How what ships with the product was made; nothing here runs in it."""
