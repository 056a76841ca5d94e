// @ts-check
// Files to pixels, and reasons in words for files that are no images.

/** Pillow's limit, which the package has in Python: larger images may be meant to exhaust memory. */
const MAX_MEGAPIXELS = 89;
/** Larger images are reduced by the browser first; the captioner reduces them further. */
const MAX_SIDE = 1280;

/** Why a file cannot be captioned; its message is for the reader. */
export class ImageError extends Error {}

/**
 * @param {Blob} file
 * @returns {Promise<ImageBitmap>} upright, without colour conversion, as Python reads it
 */
export async function readImage(file) {
  const start = new Uint8Array(await file.slice(0, 64).arrayBuffer().catch(() => new ArrayBuffer(0)));
  if (!start.length) throw new ImageError("The file is empty, or cannot be read: copy or download it again.");
  const reason = refusal(start);
  if (reason) throw new ImageError(reason);
  const { width, height } = await sizeOf(file, start);
  const megapixels = (width * height) / 1e6;
  if (megapixels > MAX_MEGAPIXELS) {
    throw new ImageError(
      `The image has ${Math.round(megapixels)} megapixels, and at most ${MAX_MEGAPIXELS} are read: save a smaller copy.`,
    );
  }
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  /** @type {ImageBitmapOptions} */
  const options = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" };
  if (scale < 1) {
    options.resizeWidth = Math.max(1, Math.round(width * scale));
    options.resizeHeight = Math.max(1, Math.round(height * scale));
    options.resizeQuality = "high";
  }
  try {
    return await createImageBitmap(file, options);
  } catch {
    throw new ImageError(undecodable(start));
  }
}

/**
 * Upright size of an image, without decoding its pixels.
 * @param {Blob} file
 * @param {Uint8Array} start
 */
async function sizeOf(file, start) {
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = reject;
      image.src = url;
    });
    return { width: image.naturalWidth, height: image.naturalHeight };
  } catch {
    throw new ImageError(undecodable(start));
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** @param {Uint8Array} start */
const asText = (start) => String.fromCharCode(...start).replace(/^(\xef\xbb\xbf)?\s+/, "");

/**
 * What a file is that no browser reads as an image, and what to do.
 * @param {Uint8Array} start
 */
function refusal(start) {
  const text = asText(start);
  if (text.startsWith("%PDF")) return "A PDF is a document, not an image: save its page as PNG or JPEG.";
  if (/^(\xef\xbb\xbf)?(<svg|<\?xml|<!DOCTYPE svg)/.test(text)) {
    return "SVG is a drawing in text, not an image of pixels: save it as PNG.";
  }
  if (/^<(!doctype html|html)/i.test(text)) return "The file is a web page, not an image: download the image itself.";
  return "";
}

/** @param {Uint8Array} start */
function undecodable(start) {
  const text = asText(start);
  const brand = text.slice(8, 12);
  if (text.slice(4, 8) === "ftyp" && /^(hei|hev|mif1|msf1)/.test(brand)) {
    return "This browser cannot read HEIC images: Safari can, or save the image as JPEG.";
  }
  if (/^(II\*|MM\0\*)/.test(text)) return "This browser cannot read TIFF images: save the image as PNG or JPEG.";
  if (/^(\xff\xd8|\x89PNG|GIF8|BM|RIFF)/.test(text) || text.slice(4, 8) === "ftyp") {
    return "The image is damaged, or too large for this browser: copy or download it again, or save a smaller copy.";
  }
  return "The file is no image that this browser reads: save it as JPEG, PNG or WebP.";
}
