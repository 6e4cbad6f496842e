"""What the page is made of: HTML, its stylesheet, its icon."""
