"""Looks from outside: is the URL gone?"""
