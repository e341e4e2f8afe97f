package main

func (a *neon) vector() {}
