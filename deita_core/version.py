"""The version of Deita Studio."""

VERSION = "0.1.0"
