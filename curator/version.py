"""The version of this package, for whatever writes it down."""

VERSION = "0.1.0"
