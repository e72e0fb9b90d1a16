"""The operations of the noun `jobs`: work that outlasts its request."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request
from typing_extensions import TypedDict

from clawstate.gateway.jobs import JobForm, Jobs
from clawstate.gateway.routing import Routes

routes = Routes("jobs")

Id = Annotated[str, Path(description="The id of a job.", max_length=64)]


class RunningJobs(TypedDict):
    """The jobs of this gateway, the newest first; of those that are over the last ones."""

    jobs: list[JobForm]


@routes.read("", RunningJobs, scope="admin")
def all_jobs(request: Request) -> Any:
    """Return the jobs that this gateway runs, or ran."""
    return {"jobs": [each.form for each in jobs_of(request).all()]}


@routes.read("/{job_id}", JobForm, scope="admin")
def get(request: Request, job_id: Id) -> Any:
    """Return how far a job is; `/ws` and `/events` tell it as it goes."""
    return jobs_of(request).require(job_id).form


@routes.write("/{job_id}", JobForm, method="DELETE", scope="admin")
def cancel(request: Request, job_id: Id) -> Any:
    """
    Ask that a job ends, and return it as it is.

    It ends at its next step, and leaves the state usable; its operation, called again, goes on or
    begins anew.
    """
    return jobs_of(request).cancel(job_id).form


def jobs_of(request: Request) -> Jobs:
    """Return the jobs of the gateway that is asked."""
    jobs: Jobs = request.app.state.jobs
    return jobs
