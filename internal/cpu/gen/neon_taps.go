package main

func (a *neon) taps() {}
