"""One module for each noun, beside `templates/admin/<noun>/`."""
