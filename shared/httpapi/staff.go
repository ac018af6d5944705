package httpapi

import (
	"context"

	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
)

// Staff makes a route for signed-in staff whose role has the permission; an
// empty permission means all staff. The shape of In is checked here, once: a
// struct that cannot be bound is a mistake of the program and panics.
func Staff[In, Out any](permission organization.Permission, fn func(context.Context, Caller, In) (Out, error)) Route {
	plan := newInput[In]()
	return Route{limit: DefaultLimit, fail: jsonProblem, serve: func(ctx context.Context, k *call) (response, error) {
		c, err := k.caller()
		if err != nil {
			return response{}, err
		}
		if permission != "" && !c.May(permission) {
			return response{}, problem.Newf(problem.Forbidden, "forbidden", "",
				"Your role (%s) does not include the permission %s. Ask an administrator.", c.Role, permission).With("permission", permission)
		}
		in, err := plan.bind(k)
		if err != nil {
			return response{}, err
		}
		out, err := fn(ctx, c, in)
		if err != nil {
			return response{}, err
		}
		return render(out)
	}}
}

// Public makes a JSON route for anybody.
func Public[In, Out any](fn func(context.Context, In) (Out, error)) Route {
	plan := newInput[In]()
	return Route{limit: FormLimit, fail: jsonProblem, serve: func(ctx context.Context, k *call) (response, error) {
		in, err := plan.bind(k)
		if err != nil {
			return response{}, err
		}
		out, err := fn(ctx, in)
		if err != nil {
			return response{}, err
		}
		return render(out)
	}}
}
