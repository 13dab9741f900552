"""The gRPC face by a client that knows nothing but reflection: no code is made of the .proto."""

from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


class Rpc:
    """A connection; methods are named as `dunlin.v1.Queries/Create`."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address)
        self._database = ProtoReflectionDescriptorDatabase(self.channel)
        self._pool = DescriptorPool(self._database)

    def services(self) -> list[str]:
        """The services that the server says it has."""
        return sorted(self._database.get_services())

    def methods(self, service: str) -> list[str]:
        return [method.name for method in self._pool.FindServiceByName(service).methods]

    def message(self, name: str, **fields: Any) -> Any:
        """A message of the package."""
        kind = self._pool.FindMessageTypeByName(name)
        return message_factory.GetMessageClass(kind)(**fields)

    def call(self, method: str, **fields: Any) -> Any:
        """One request, one answer; grpc.RpcError if the server refuses."""
        found = self._method(method)
        request = message_factory.GetMessageClass(found.input_type)(**fields)
        return self._stub("unary_unary", method, found)(request, timeout=10)

    def follow(self, method: str, **fields: Any) -> Any:
        """One request, many answers; the call can be cancelled."""
        found = self._method(method)
        request = message_factory.GetMessageClass(found.input_type)(**fields)
        return self._stub("unary_stream", method, found)(request, timeout=60)

    def stream(self, method: str, requests: Iterator[Any]) -> Any:
        """Many requests, many answers."""
        return self._stub("stream_stream", method, self._method(method))(requests, timeout=60)

    def close(self) -> None:
        self.channel.close()

    def _method(self, method: str) -> Any:
        service, name = method.split("/")
        return self._pool.FindServiceByName(service).FindMethodByName(name)

    def _stub(self, shape: str, method: str, found: Any) -> Any:
        read = message_factory.GetMessageClass(found.output_type).FromString
        return getattr(self.channel, shape)(
            f"/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=read,
        )
