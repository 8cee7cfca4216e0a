
// Keeps the places of a map for map.js, which may come sooner or later than they do.
const MOST_MAPS = 4;

export default function ({ data }) {
  if (!(data instanceof Uint8Array)) return;
  const { name, digest } = JSON.parse(readHeadline(data));
  if (everyPlaces.get(name)?.header.digest === digest) return;
  everyPlaces.delete(name);
  everyPlaces.set(name, unpackPlaces(data));
  if (everyPlaces.size > MOST_MAPS) everyPlaces.delete(everyPlaces.keys().next().value);
  window.dispatchEvent(new CustomEvent("deita-places"));
}
