"""The problem, its solution and the certificate: frozen records and mathematics, no solver."""
