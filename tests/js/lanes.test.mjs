import assert from "node:assert/strict";
import test from "node:test";

import {
  fitted,
  offset,
  panned,
  pixelsAt,
  secondsAt,
  showing,
  ticks,
  zoomed,
} from "../../calls/static/calls/js/lanes/axis.js";
import { gapMarks, gapText } from "../../calls/static/calls/js/lanes/gaps.js";
import { gainsOf, speedBeside } from "../../calls/static/calls/js/lanes/gains.js";
import { commandOf } from "../../calls/static/calls/js/lanes/keys.js";
import {
  downloadOf,
  fragmentOf,
  layoutFor,
  nextPlace,
  placeIn,
  rangeOf,
} from "../../calls/static/calls/js/lanes/place.js";
import {
  columns,
  levelFor,
  OVERVIEW_POINTS,
  POINTS,
  tilesFor,
  united,
} from "../../calls/static/calls/js/lanes/tiles.js";
import { localText, utcText, zoneOf } from "../../calls/static/calls/js/local-time.js";

const HOUR = 3600;

test("pixels and seconds are inverse to each other", () => {
  const view = { start: 100, end: 160 };
  for (const seconds of [100, 123.456, 160])
    assert.ok(Math.abs(secondsAt(view, 800, pixelsAt(view, 800, seconds)) - seconds) < 1e-9);
});

test("zooming in keeps the second under the pointer where it is", () => {
  const view = zoomed({ start: 0, end: 100 }, 0.5, 30, 100);
  assert.equal(view.end - view.start, 50);
  assert.equal(pixelsAt(view, 1000, 30), 300);
});

test("a view never leaves the call", () => {
  const views = [
    zoomed({ start: 10, end: 20 }, 100, 15, 60),
    panned({ start: 0, end: 10 }, -5, 60),
    panned({ start: 50, end: 60 }, 5, 60),
  ];
  assert.deepEqual(views, [
    { start: 0, end: 60 },
    { start: 0, end: 10 },
    { start: 50, end: 60 },
  ]);
});

test("zooming in is limited", () => {
  const view = zoomed({ start: 5, end: 5.06 }, 0.001, 5.03, 60);
  assert.ok(Math.abs(view.end - view.start - 0.05) < 1e-9);
});

test("a position outside the view moves it, one inside does not", () => {
  const view = { start: 0, end: 10 };
  assert.equal(showing(view, 5, 100), view);
  assert.deepEqual(showing(view, 50, 100), { start: 49, end: 59 });
});

test("a call without audio has a view too", () => {
  assert.ok(fitted(0).end > 0);
  assert.ok(ticks(fitted(0), 500).length > 0);
});

test("a ruler has round seconds, not too close", () => {
  assert.deepEqual(
    ticks({ start: 0, end: 100 }, 1000)
      .map((tick) => tick.label)
      .slice(0, 3),
    ["0:00", "0:10", "0:20"],
  );
  const wide = ticks({ start: 0, end: 4 * HOUR }, 1200);
  assert.ok(wide.length <= 1200 / 90 + 1);
  assert.deepEqual(
    ticks({ start: 1, end: 1.2 }, 1000)
      .map((tick) => tick.label)
      .slice(0, 2),
    ["0:01.00", "0:01.02"],
  );
});

test("offsets look like a player's clock", () => {
  assert.deepEqual(
    [offset(7), offset(754.26, 1), offset(3729), offset(-1), offset(59.999, 2)],
    ["0:07", "12:34.2", "1:02:09", "0:00", "0:59.99"],
  );
});

test("the whole call needs no tiles, a second the finest", () => {
  assert.deepEqual(tilesFor({ start: 0, end: 4 * HOUR }, (4 * HOUR) / 2000, 4 * HOUR), []);
  const fine = tilesFor({ start: 100, end: 101 }, 1 / 2000, 4 * HOUR);
  assert.deepEqual(
    fine.map(({ start, end, points }) => ({ start, end, points })),
    [{ start: 100, end: 104, points: POINTS }],
  );
});

test("tiles have at least a point per pixel, cover the view and end with the call", () => {
  for (const span of [3, 40, 600, 2 * HOUR]) {
    const view = { start: 1000, end: 1000 + span };
    const duration = 1000 + span + 0.5;
    const tiles = tilesFor(view, span / 2400, duration);
    if (!tiles.length) continue;
    assert.ok(
      tiles[0].start <= view.start && tiles.at(-1).end >= view.end && tiles.at(-1).end <= duration,
      `span ${span}`,
    );
    for (const tile of tiles.slice(0, -1))
      assert.ok((tile.end - tile.start) / tile.points <= span / 2400 + 1e-9, `span ${span}`);
  }
});

test("the overview is enough while its points are at most a pixel wide", () => {
  assert.equal(levelFor(HOUR / OVERVIEW_POINTS, HOUR), null);
  assert.notEqual(levelFor((HOUR / OVERVIEW_POINTS) * 0.9, HOUR), null);
});

test("a pixel shows the lowest and the highest of all points in it", () => {
  const source = {
    start: 0,
    end: 4,
    peaks: [
      [-0.1, 0.1],
      [-0.5, 0.2],
      [0, 0.9],
      [-0.2, 0],
    ],
  };
  assert.deepEqual(
    [...columns({ start: 0, end: 4 }, 2, source)].map((each) => Math.round(each * 10) / 10),
    [-0.5, 0.2, -0.2, 0.9],
  );
});

test("a source without data gives none, and the finer source wins", () => {
  const coarse = columns({ start: 0, end: 2 }, 2, {
    start: 0,
    end: 2,
    peaks: [
      [-1, 1],
      [-1, 1],
    ],
  });
  const fine = columns({ start: 0, end: 2 }, 2, { start: 1, end: 2, peaks: [[-0.25, 0.25]] });
  assert.ok(Number.isNaN(fine[0]));
  assert.deepEqual([...united(coarse, fine)], [-1, 1, -0.25, 0.25]);
});

test("a link contains a moment or a range", () => {
  assert.deepEqual(placeIn("#t=754.2"), { start: 754.2, end: null });
  assert.deepEqual(placeIn("#t=10,20"), { start: 10, end: 20 });
  assert.deepEqual(placeIn("#x=1&t=npt:3"), { start: 3, end: null });
  for (const wrong of ["", "#", "#t=", "#t=-1", "#t=20,10", "#t=1x", "#at=3"])
    assert.equal(placeIn(wrong), null, wrong);
});

test("a link is exact to the millisecond", () => {
  assert.deepEqual(placeIn(fragmentOf(12.3456)), { start: 12.346, end: null });
  assert.deepEqual(placeIn(fragmentOf(1, 2.5)), { start: 1, end: 2.5 });
});

test("a range is ordered, in whole milliseconds, and within the call", () => {
  assert.deepEqual(rangeOf(5.12345, 2, 60), { start: 2, end: 5.123 });
  assert.deepEqual(rangeOf(-3, 90, 60), { start: 0, end: 60 });
  assert.equal(rangeOf(3, 3.0001, 60), null);
});

test("the download address contains exactly the range", () => {
  const address = downloadOf("/audio", { start: 7.2, end: 8 }, "tracks", "flac");
  assert.equal(address, "/audio?layout=tracks&format=flac&start=7.200&end=8.000&download=true");
});

test("the next mark is not the present one", () => {
  const places = [30, 10, 10, 20];
  assert.deepEqual(
    [nextPlace(places, 0, 1), nextPlace(places, 10.01, 1), nextPlace(places, 30, 1)],
    [10, 20, null],
  );
  assert.deepEqual([nextPlace(places, 25, -1), nextPlace(places, 10, -1)], [20, null]);
});

test("keys have the commands of the help, and the browser keeps its own", () => {
  assert.deepEqual(commandOf({ key: " " }), ["play"]);
  assert.deepEqual(commandOf({ key: "ArrowLeft", shiftKey: true }), ["step", -1]);
  assert.deepEqual(commandOf({ key: "2", code: "Digit2" }), ["mute", 1]);
  assert.deepEqual(commandOf({ key: "2", code: "Digit2", altKey: true }), ["solo", 1]);
  for (const other of [
    { key: "l", ctrlKey: true },
    { key: "+", metaKey: true },
    { key: "ArrowLeft", altKey: true },
    { key: "x" },
    { key: "?", shiftKey: true },
  ]) {
    assert.equal(commandOf(other), null);
  }
});

test("mute and solo as on a mixing desk", () => {
  const lane = (isMute, isSolo) => ({ isMute, isSolo });
  assert.deepEqual(gainsOf([lane(false, false), lane(true, false)]), [1, 0]);
  assert.deepEqual(gainsOf([lane(true, true), lane(false, false)]), [1, 0]);
  assert.deepEqual([speedBeside(1, 1), speedBeside(2, 1), speedBeside(0.5, -1)], [1.25, 2, 0.5]);
});

test("times are local, and UTC is marked", () => {
  assert.equal(
    localText("2026-11-25T13:03:09Z", "datetime", "Europe/Berlin"),
    "2026-11-25 14:03:09",
  );
  assert.equal(localText("2026-11-25T13:03:09Z", "time", "America/New_York"), "08:03:09");
  assert.equal(utcText("2026-11-25T13:03:09.5Z"), "2026-11-25 13:03:09 UTC");
  assert.equal(localText("soon"), "");
});

test("narrow gaps are shares of their pixels, and only wide ones cover the lane", () => {
  const view = { start: 0, end: 1000 };
  const many = Array.from({ length: 1032 }, (_, n) => ({ start: n * 0.9, end: n * 0.9 + 0.07 }));
  const { wide, shares } = gapMarks(view, 1000, [...many, { start: 950, end: 980 }]);
  assert.deepEqual(wide, [{ from: 950, to: 980 }]);
  assert.ok(shares.slice(0, 920).every((share) => share > 0 && share < 0.25));
  assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1032 * 0.07) < 0.01);
  assert.ok(shares.slice(935).every((share) => share === 0));
});

test("zoomed in, the same gap is wide", () => {
  const { wide, shares } = gapMarks({ start: 4, end: 5 }, 1000, [{ start: 4.5, end: 4.57 }]);
  assert.equal(wide.length, 1);
  assert.ok(shares.every((share) => share === 0));
});

test("a gap of six pixels is wide, and one beyond the view ends with the lane", () => {
  const view = { start: 0, end: 100 };
  const gaps = [
    { start: -20, end: 5 },
    { start: 10, end: 16 },
    { start: 95, end: 120 },
  ];
  assert.deepEqual(gapMarks(view, 100, gaps).wide, [
    { from: 0, to: 5 },
    { from: 10, to: 16 },
    { from: 95, to: 100 },
  ]);
});

test("gaps outside the view are not drawn, and a full pixel is not more than full", () => {
  const gaps = [
    { start: -5, end: -4 },
    { start: 101, end: 102 },
    { start: 10.2, end: 10.8 },
    { start: 10.3, end: 11 },
  ];
  const { wide, shares } = gapMarks({ start: 0, end: 100 }, 100, gaps);
  assert.deepEqual(wide, []);
  assert.equal(shares[10], 1);
  assert.equal(shares.filter((share) => share > 0).length, 1);
});

test("a tooltip names the gap, or counts those under the pointer", () => {
  const gaps = [
    { start: 1, end: 1.07, label: "Audio missing: not received" },
    { start: 2, end: 2.5, label: "Audio missing: disk error" },
  ];
  assert.equal(gapText(gaps, 1.1, 0.05), "Audio missing: not received, 0.07 s");
  assert.equal(gapText(gaps, 1.5, 1), "2 gaps, 0.57 s missing");
  assert.equal(gapText(gaps, 9, 1), "");
});

test("a page has the zone of its browser, or the one that the server has instead", () => {
  const own = "Asia/Tokyo";
  assert.equal(zoneOf({ own, sent: "", stated: undefined }), own); // the first visit
  assert.equal(zoneOf({ own, sent: own, stated: own }), own);
  assert.equal(zoneOf({ own, sent: own, stated: "UTC" }), "UTC"); // the server lacks it
  assert.equal(zoneOf({ own, sent: "Europe/Berlin", stated: "Europe/Berlin" }), own); // travelled
});

test("a link may have hours and minutes", () => {
  for (const [fragment, start, end] of [
    ["#t=60", 60, null],
    ["#t=1:00", 60, null],
    ["#t=1:02:03.5", 3723.5, null],
    ["#t=75:00", 4500, null],
    ["#t=npt:0:10,1:00", 10, 60],
    ["#t=,0:20", 0, 20],
    ["#x=1&t=0:05", 5, null],
  ])
    assert.deepEqual(placeIn(fragment), { start, end }, fragment);
  const wrong = ["#t=", "#t=,", "#t=1:", "#t=:30", "#t=1:00:00:00", "#t=1:00,0:59", "#t=a"];
  for (const fragment of wrong)
    assert.equal(placeIn(fragment), null, fragment);
});

test("a range is a mix in a format that cannot hold its tracks", () => {
  const opus = { most: "255", except: "6 7 8" };
  const mp3 = { most: "2", except: "" };
  assert.deepEqual(
    [1, 2, 5, 6, 8, 9].map((channels) => layoutFor(channels, opus)),
    ["mix", "tracks", "tracks", "mix", "mix", "tracks"],
  );
  assert.deepEqual(
    [0, 1, 2, 3].map((channels) => layoutFor(channels, mp3)),
    ["mix", "mix", "tracks", "mix"],
  );
});
