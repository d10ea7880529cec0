"""The ground: what every room stands on. Imports numpy and nothing of the house."""
