package backend

// Capturer is a Backend that can note the operations of a step and do all of them
// again at once. The step runs on the goroutine that calls; while it does, others may
// get and free buffers, and not compute.
type Capturer interface {
	// Rehearse calls step, whose operations are computed as ever. An operation that could not be captured, since it waits for
	// the device or takes numbers from the host's memory, calls unfit first and tells why.
	Rehearse(step func(), unfit func(why string))
	// Capture calls step, whose operations are noted and not computed, and then computes them once. Buffers of the step take
	// memory of the graph's own; a graph of the same step, or nil, shares its. An operation that cannot be captured calls
	// unfit, which has to panic: Capture drops what was noted, and the panic goes on.
	Capture(step func(), unfit func(why string), beside Graph) Graph
	// Abandon says that a buffer's owner has another one now: graphs that use it no longer fit.
	Abandon(b Buffer)
}

// Graph is a captured step.
type Graph interface {
	// Fits reports whether the step would do the same operations again: the Fits of all of them say so, and all buffers from
	// before the capture are still there.
	Fits() bool
	// Launch computes all operations again, with new numbers for those that have Renew.
	Launch()
	// Close gives back the graph's memory, once the buffers that live in it are freed.
	Close()
}
