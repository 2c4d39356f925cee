"""A page for a Hugging Face Space with the Gradio SDK: upload this file and requirements.txt.

On your machine: pip install gradio; python examples/space/app.py. (`multistyle page` is a page with more to it.)
"""

import gradio as gr

import multistyle

LONGEST = 1600  # px, so that a free Space answers in seconds

stylizer = multistyle.load_stylizer()


def paint(photo, first, second, share, strength, stroke):
    """The painting of a PIL image; `share` is that of the painter `second`."""
    if photo is None:
        raise gr.Error("Choose a photo first.")
    mix = {second: share}
    mix[first] = mix.get(first, 0) + 1 - share
    try:
        size = min(LONGEST, max(photo.size))
        return stylizer.paint(photo, mix, strength=strength, stroke=stroke, size=size)
    except multistyle.MultistyleError as error:
        raise gr.Error(str(error)) from error


def page():
    painters = [(f"{style.artist}: {style.title}", style.name) for style in stylizer.styles[1:]]
    inputs = [
        gr.Image(type="pil", label="Photo"),
        gr.Dropdown(painters, value=painters[0][1], label="Painter"),
        gr.Dropdown(painters, value=painters[1][1], label="Second painter"),
        gr.Slider(0, 1, 0.3, label="Share of the second painter"),
        gr.Slider(0, 1, 1, label="Strength"),
        gr.Slider(0.25, 4, 1, label="Size of strokes"),
    ]
    output = gr.Image(format="png", label="Painting")
    return gr.Interface(paint, inputs, output, title="multistyle", flagging_mode="never")


if __name__ == "__main__":
    page().launch()
