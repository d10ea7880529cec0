"""The hall: the whole story, from a file to a report. The wings meet only here."""
