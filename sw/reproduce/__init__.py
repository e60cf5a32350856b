"""The figures and tables of both papers beside what is computed here."""
