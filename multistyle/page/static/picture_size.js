// The size of a picture from the first bytes of its file, so that a huge one is refused before it is decoded.

const HEAD = 1 << 18; // bytes; a JPEG's size comes after its metadata

/** [width, height] of a PNG, JPEG, GIF, WebP or BMP file; null if the file is of another kind or damaged. */
export async function pictureSize(file) {
  const view = new DataView(await file.slice(0, HEAD).arrayBuffer());
  try {
    return pngSize(view) ?? jpegSize(view) ?? gifSize(view) ?? webpSize(view) ?? bmpSize(view);
  } catch (error) {
    if (error instanceof RangeError) return null; // the file ends too early
    throw error;
  }
}

function marked(view, place, text) {
  return [...text].every((letter, index) => view.getUint8(place + index) === letter.charCodeAt(0));
}

function pngSize(view) {
  return marked(view, 1, "PNG") ? [view.getUint32(16), view.getUint32(20)] : null;
}

function jpegSize(view) {
  if (view.getUint16(0) !== 0xffd8) return null;
  let place = 2;
  for (;;) {
    const mark = view.getUint16(place);
    const isFrame = mark >= 0xffc0 && mark <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(mark);
    if (isFrame) return [view.getUint16(place + 7), view.getUint16(place + 5)];
    if (mark < 0xff00) return null;
    place += 2 + view.getUint16(place + 2);
  }
}

function gifSize(view) {
  return marked(view, 0, "GIF8") ? [view.getUint16(6, true), view.getUint16(8, true)] : null;
}

function webpSize(view) {
  if (!marked(view, 0, "RIFF") || !marked(view, 8, "WEBP")) return null;
  if (marked(view, 12, "VP8 ")) return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
  if (marked(view, 12, "VP8L")) {
    const bits = view.getUint32(21, true);
    return [(bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1];
  }
  const three = (place) => view.getUint16(place, true) + (view.getUint8(place + 2) << 16) + 1;
  return [three(24), three(27)];
}

function bmpSize(view) {
  return marked(view, 0, "BM") ? [view.getInt32(18, true), Math.abs(view.getInt32(22, true))] : null;
}
