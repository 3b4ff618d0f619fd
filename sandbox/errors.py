"""How the three hosts and the control API say no. Source: meta-platform.md, sections 1.1 and 7.1."""

from typing import Any

from fastapi.responses import JSONResponse

from sandbox.box import new_trace_id

TRANSIENT = frozenset({1, 2, -1, -2})


class GraphError(Exception):
    """A refusal in the Graph envelope."""

    def __init__(self, code: int, message: str, subcode: int | None = None, *, type: str = "OAuthException") -> None:
        super().__init__(message)
        self.code, self.message, self.subcode, self.type = code, message, subcode, type

    @property
    def status(self) -> int:
        """The HTTP status this code comes with."""
        if self.code in TRANSIENT:
            return 500
        if self.code in (190, 102):
            return 401
        return 403 if self.code in (3, 4, 10, 17, 32, 613) or 200 <= self.code <= 299 else 400

    def graph_response(self) -> JSONResponse:
        """As graph.instagram.com says it."""
        error: dict[str, Any] = {"message": self.message, "type": self.type, "code": self.code}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.code in TRANSIENT:
            error["is_transient"] = True
        return JSONResponse({"error": error | {"fbtrace_id": new_trace_id()}}, self.status)

    def login_response(self) -> JSONResponse:
        """As api.instagram.com says it: flat, and the code is the HTTP status."""
        body = {"error_type": self.type, "code": self.status, "error_message": self.message}
        return JSONResponse(body, self.status)


class ControlError(Exception):
    """A control call that cannot be done; the message is a sentence for the caller."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.status = message, status


def unsupported(method: str, node: str) -> GraphError:
    """The error for an object that is not there, or not the caller's to see."""
    verb = {"GET": "get", "POST": "post", "DELETE": "delete"}[method]
    return GraphError(
        100,
        f"Unsupported {verb} request. Object with ID '{node}' does not exist, cannot be loaded due to missing"
        " permissions, or does not support this operation",
        33,
        type="IGApiException",
    )


def bad_parameter(message: str) -> GraphError:
    """The error for a call that can never work as it is."""
    return GraphError(100, f"(#100) {message}")


def no_permission() -> GraphError:
    """The error for a scope the user did not grant."""
    return GraphError(10, "(#10) Application does not have permission for this action")
