"""InfluxDB's own client library writes points: argument: the root of our HTTP. Prints what became of each write."""

import sys

from influxdb_client import InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

with InfluxDBClient(url=sys.argv[1], token="any", org="any", enable_gzip=True) as client:
    writer = client.write_api(write_options=SYNCHRONOUS)

    def write(*points):
        try:
            writer.write(bucket="any", record=points, write_precision=WritePrecision.MS)
            print("written")
        except ApiException as error:
            print(error.status, error.message)

    at = 1_767_225_600_000
    write(
        Point("weather").tag("place", "my hall, left=west").field("degrees", 21.5).field("wet", True).time(at, WritePrecision.MS),
        Point("weather").tag("place", "roof").field("degrees", -3.0).field("note", 'say "snow" \\ ice').time(at + 1, WritePrecision.MS),
        Point("counts").field("n", 9007199254740993).time(at, WritePrecision.MS),
    )
    write(Point("weather").field("degrees", 1.0).time(at, WritePrecision.MS), Point("nowhere").field("x", 1).time(at, WritePrecision.MS))
