// What the map needs before it can draw: unpacking, grouping, colours. Joined with map.js.

// A message: uint32 length of the header | header (JSON, padded to 4) | arrays. A map has two:
// places (x, y as float32, hover texts as UTF-8 lines), which stay while colours change, and
// colours (highlight as uint32, codes as uint8). `reader` takes the arrays one after the other.
function reader(bytes) {
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const length = new DataView(buffer).getUint32(0, true);
  let at = 4 + length;
  return {
    header: JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length))),
    take(Kind, count) {
      const view = new Kind(buffer, at, count);
      at += view.byteLength;
      return view;
    },
  };
}

function unpackPlaces(bytes) {
  const { header, take } = reader(bytes);
  const x = take(Float32Array, header.rows);
  const y = take(Float32Array, header.rows);
  return { header, x, y, text: header.text ? take(Uint8Array) : null, lines: null };
}

function unpackColours(bytes) {
  const { header, take } = reader(bytes);
  const highlight = take(Uint32Array, header.highlighted);
  return { header, highlight, codes: take(Uint8Array, header.rows) };
}

// The places of each map, by its name: put there by places.js, waited for by map.js.
const everyPlaces = (window.deitaPlaces ??= new Map());

// The header names everything that can differ (with a checksum of the rest), so two payloads with
// the same headline draw the same picture.
function readHeadline(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  return new TextDecoder().decode(bytes.subarray(4, 4 + length));
}

// One list of row numbers per group; rows without a finite place are on no list.
function groupRows({ header, codes }, { x, y }) {
  const counts = new Uint32Array(header.labels.length);
  const drawn = (i) => Number.isFinite(x[i]) && Number.isFinite(y[i]);
  for (let i = 0; i < codes.length; i++) if (drawn(i)) counts[codes[i]]++;
  const groups = Array.from(counts, (count) => new Uint32Array(count));
  const filled = new Uint32Array(counts.length);
  for (let i = 0; i < codes.length; i++) {
    if (drawn(i)) groups[codes[i]][filled[codes[i]]++] = i;
  }
  return groups;
}

function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const v of values) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  if (!(low <= high)) return [0, 1];
  const pad = (high - low) * 0.04 || 1;
  return [low - pad, high + pad];
}

const pointSize = (n) => Math.min(9, Math.max(2, 24 * Math.pow(Math.max(n, 1), -0.2)));
