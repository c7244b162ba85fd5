"""How the database servers of a cluster stand to each other, and all that follows from that."""
