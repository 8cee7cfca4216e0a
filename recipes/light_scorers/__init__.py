"""How the weights of the light scorers were made: labels, training, held-out figures."""
