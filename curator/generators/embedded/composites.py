"""The embedded painter of pictures: textures of other images of the lake, blended over what makes an image ID.

After SynOOD's idea without its diffusion model: the surroundings stay and the subject goes. Where the subject is, the
encoder's own score says, by occlusion (Zeiler and Fergus, ECCV 2014): the parts of an image whose covering raises its
energy E = -LSE(scale * cosines to the ID labels) the most. They are covered by crops of images that lie near the text
of the context, through a mask with soft edges (Pillow), in growing shares. Kept is a picture that has just left the ID
images: its energy is at least the quantile `id_share` of theirs (m_out in the hinge of Liu et al., NeurIPS 2020, eq. 7,
which stops there). Of all such pictures it is the one that is covered least, found by halving, as the energy grows with
what is covered; of equal ones that of the least energy.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from curator.banks.text_cache import encode_prompts
from curator.decode import fit
from curator.errors import ConfigError
from curator.generators.embedded.answering import Refused, answer_each, digest_of, picture_vector, text_slot
from curator.generators.embedded.centring import Centring, unit_rows
from curator.generators.painter_settings import ZERO_SHOT, InpaintSettings
from curator.generators.pictures import PictureFault, open_picture
from curator.generators.requests import Reply, Request
from curator.generators.surroundings import Surroundings
from curator.ranges import Place, Range, read_table
from curator.types import Pixels, Vectors

FORMAT = 1  # raised whenever the same request may get another picture
JPEG_QUALITY = 95
SAME_IMAGE = 0.98  # cosine from which a lake image shows what the picture itself shows
CROP = (0.25, 0.6)  # of the shorter side of the image that a texture is cut from: more would show what is in it


@dataclass(frozen=True, slots=True)
class CompositeSettings:
    """How pictures are made. A request's `settings` may set each of them, by these names.

    cells: a side of the grid that is occluded, two by two cells at a time. textures: tried, each of another image,
    drawn among the `nearest` to the context. covers: shares of the picture that are tried, in equal steps up to `most`.
    feather: deviation of the soft edge, a share of the side. id_share: of ID images that lie within the boundary.
    """

    cells: Annotated[int, Range(2, 16)] = 5
    textures: Annotated[int, Range(1, 64)] = 4
    nearest: Annotated[int, Range(1)] = 32
    covers: Annotated[int, Range(1, 32)] = 7
    most: Annotated[float, Range(0, 1, above=True)] = 0.9
    feather: Annotated[float, Range(0, 0.5)] = 0.04
    id_share: Annotated[float, Range(0, 1, above=True)] = 0.95

    @classmethod
    def resolve(cls, given: Mapping[str, object]) -> CompositeSettings:
        """What a diffusion model would be told (steps, strength) is passed over. Raises Refused for any other key."""
        known, passed_over = ({item.name for item in fields(kind)} for kind in (cls, InpaintSettings))
        if unknown := sorted(given.keys() - known - passed_over):
            raise Refused(f"inpaint has no setting {', '.join(unknown)}: known are {', '.join(sorted(known))}")
        try:
            return read_table(cls, {key: given[key] for key in given if key in known}, Place("inpaint", strict=True))
        except ConfigError as fault:
            raise Refused(fault.message) from fault


class CompositePainter:
    """Pictures made of other pictures. Implements `Generator`; paints over an image and draws nothing from a text."""

    model = "composites"
    room: int | None = None

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    @cached_property
    def revision(self) -> str:
        around = self._surroundings
        return digest_of(FORMAT, around.encoder_id, around.id_vectors, around.id_image_vectors(), self._lake)

    def replies(self, requests: Sequence[Request], *, allow: Callable[[], bool]) -> Iterator[Reply]:
        return answer_each(requests, allow, self._answer)

    def close(self) -> None:
        """Nothing is held that is worth freeing."""

    def _answer(self, request: Request) -> Reply:
        if request.prompt.name != "inpaint":
            raise Refused(f"{self.model} paints over pictures, and has none for the prompt {request.prompt.name}")
        settings = CompositeSettings.resolve(request.settings)
        if not len(self._lake) or not len(self._surroundings.id_image_vectors()):
            raise Refused("there are no images of the lake to take textures from, or no ID images to keep away from")
        # Each request draws from its own stream: neither its place nor its neighbours change what it gets.
        draws = np.random.default_rng([abs(request.seed), int(request.digest, 16)])
        try:
            picture = self._square(open_picture(request.pictures[0]))
            textures = self._textures(request, draws, settings)
        except PictureFault as fault:
            return Reply(0, fault=str(fault), final=fault.final)
        return self._composed(picture, textures, settings)

    def _composed(self, picture: Pixels, textures: Sequence[Pixels], settings: CompositeSettings) -> Reply:
        boundary = float(np.quantile(self._id_energies, settings.id_share))
        saliency, before = self._saliency(picture, settings.cells)
        shares = settings.most * np.arange(1, settings.covers + 1) / settings.covers
        fewest, most, kept = 0, len(shares), None
        while fewest < most:
            middle = (fewest + most) // 2
            mask = soft_mask(saliency, shares[middle], len(picture), settings.feather)
            made = np.stack([blended(picture, texture, mask) for texture in textures])
            energies = self._energies(made)
            outside = np.flatnonzero(energies >= boundary)
            if outside.size:
                best = int(outside[energies[outside].argmin()])
                most, kept = middle, (made[best], float(energies[best]), float(shares[middle]))
            else:
                fewest = middle + 1
        if kept is None:
            raise Refused(f"whatever is covered, the picture lies among ID images (energy below {boundary:.3f})")
        facts = {
            "guide": ZERO_SHOT,
            "energies": [round(before, 6), round(kept[1], 6)],
            "boundary_energy": round(boundary, 6),
            "covered": round(kept[2], 6),
            "textures": len(textures),
            "width": picture.shape[1],
            "height": picture.shape[0],
        }
        buffer = io.BytesIO()
        Image.fromarray(kept[0]).save(buffer, "JPEG", quality=JPEG_QUALITY)
        return Reply(0, artefact=buffer.getvalue(), suffix=".jpg", facts=facts)

    def _saliency(self, picture: Pixels, cells: int) -> tuple[NDArray[np.float64], float]:
        """(cells, cells): by how much covering a place raises the energy, and the energy of the whole."""
        found = self._energies(np.concatenate([picture[None], *(item[None] for item in occluded(picture, cells))]))
        return (found[1:] - found[0]).reshape(cells, cells), float(found[0])

    def _textures(self, request: Request, draws: np.random.Generator, settings: CompositeSettings) -> list[Pixels]:
        """Squares cut from images of the lake that are near the context and do not show the picture itself."""
        [text] = encode_prompts(self._encoder, [text_slot(request, "context")])
        own = self._lake @ picture_vector(request)
        order = np.argsort(-(self._centred @ self._centring.texts(text[None])[0]), kind="stable")
        near = order[own[order] < SAME_IMAGE][: settings.nearest]
        if not len(near):
            raise Refused("the lake holds no other image to take a texture from")
        found: list[Pixels] = []
        for place in draws.permutation(near).tolist():  # one that has gone since is passed over for the next
            with suppress(PictureFault):
                found.append(self._crop(open_picture(self._pictures[place]), draws))
            if len(found) == settings.textures:
                break
        if not found:
            raise PictureFault("no image of the lake near the context can be read", final=False)
        return found

    def _crop(self, image: Image.Image, draws: np.random.Generator) -> Pixels:
        side = max(1, round(min(image.size) * draws.uniform(*CROP)))
        left, top = (int(draws.integers(0, extent - side + 1)) for extent in image.size)
        return self._square(image.crop((left, top, left + side, top + side)))

    def _square(self, image: Image.Image) -> Pixels:
        return fit(image, self._encoder.preprocess)

    def _energies(self, pixels: Pixels) -> NDArray[np.float64]:
        return energies_of(
            self._encoder.encode_images(pixels), self._surroundings.id_vectors, self._encoder.logit_scale
        )

    @property
    def _encoder(self) -> Any:
        return self._surroundings.encoder()

    @cached_property
    def _lake(self) -> Vectors:
        return self._surroundings.image_vectors()

    @cached_property
    def _centring(self) -> Centring:
        return Centring.of(self._lake, self._surroundings.id_vectors)

    @cached_property
    def _centred(self) -> NDArray[np.float64]:
        return self._centring.images(self._lake)

    @cached_property
    def _pictures(self) -> Sequence[Any]:
        return self._surroundings.image_pictures()

    @cached_property
    def _id_energies(self) -> NDArray[np.float64]:
        around = self._surroundings
        return energies_of(unit_rows(around.id_image_vectors()), around.id_vectors, self._encoder.logit_scale)


def energies_of(vectors: NDArray[np.floating], id_vectors: NDArray[np.floating], scale: float) -> NDArray[np.float64]:
    """E = -LSE(scale * cosines), (n,); low for images of the classes. vectors: (n, d), id_vectors: (C, d), unit."""
    logits = scale * (vectors.astype(np.float64) @ id_vectors.astype(np.float64).T)
    largest = logits.max(axis=1)
    energies: NDArray[np.float64] = -(largest + np.log(np.exp(logits - largest[:, None]).sum(axis=1)))
    return energies


def occluded(picture: Pixels, cells: int) -> Iterator[Pixels]:
    """picture: (s, s, 3). The picture with one place after the other covered by its mean colour, row by row: each the
    size of two by two cells of the grid, around one of them."""
    edges = np.linspace(0, len(picture), 2 * cells + 1).round().astype(int)
    colour = picture.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    spans = [(edges[max(2 * cell - 1, 0)], edges[min(2 * cell + 3, 2 * cells)]) for cell in range(cells)]
    for top, bottom in spans:
        for left, right in spans:
            covered = picture.copy()
            covered[top:bottom, left:right] = colour
            yield covered


def soft_mask(saliency: NDArray[np.float64], share: float, side: int, feather: float) -> Image.Image:
    """Mode L, side x side: white where the saliency is largest, on that share of the picture, with a soft edge."""
    smooth = Image.fromarray(saliency.astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC)
    values = np.array(smooth)
    white = values >= np.quantile(values, 1 - share)
    return Image.fromarray(white.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(feather * side))


def blended(picture: Pixels, texture: Pixels, mask: Image.Image) -> Pixels:
    """The texture where the mask is white, the picture where it is black."""
    return np.array(Image.composite(Image.fromarray(texture), Image.fromarray(picture), mask))
