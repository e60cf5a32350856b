"""What users hand in and get back: files, command lines, tables, figures, and how pictures look."""
