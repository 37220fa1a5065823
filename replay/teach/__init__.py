"""Teaching the series: the lessons, in the terminal and as a page."""
