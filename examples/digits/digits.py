"""Two models learn to read handwritten digits, and a report compares them.

scikit-learn's 1,797 small images are loaded, split once, learned by a linear model and a forest at the
same time, and judged on images that neither has seen:

    load ── split ──┬── train-linear ── evaluate ────┬── compare
                    └── train-forest ── evaluate-2 ──┘

Along the way there are a Dataset, Models, Metrics, a confusion matrix and a ROC curve
(ClassificationMetrics), a report with the misread images (HTML) and a summary (Markdown).

An ordinary kfp pipeline. Compile it with:  python digits.py
"""

from typing import NamedTuple

from kfp import compiler, dsl
from kfp.dsl import HTML, ClassificationMetrics, Dataset, Input, Markdown, Metrics, Model, Output

# All steps ask for the same packages, so that one environment serves them all.
learning = dict(base_image="python:3.11", packages_to_install=["scikit-learn==1.7.2"])


@dsl.component(**learning)
def load(digits: Output[Dataset]) -> int:
    """Writes images (8 × 8 pixels of 0 to 16) and labels, and returns how many there are."""
    import numpy
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    with open(digits.path, "wb") as file:
        numpy.savez_compressed(file, images=images, labels=labels)
    digits.metadata["images"] = len(labels)
    digits.metadata["labels"] = "0 to 9"
    print(f"{len(labels)} images of {images.shape[1]} pixels")
    return len(labels)


@dsl.component(**learning)
def split(
    digits: Input[Dataset],
    test_share: float,
    seed: int,
    training: Output[Dataset],
    test: Output[Dataset],
):
    """Puts a share of the images aside for the test, with as many of each digit as in the whole."""
    import numpy
    from sklearn.model_selection import train_test_split

    data = numpy.load(digits.path)
    parts = train_test_split(
        data["images"],
        data["labels"],
        test_size=test_share,
        random_state=seed,
        stratify=data["labels"],
    )
    for artifact, images, labels in [(training, parts[0], parts[2]), (test, parts[1], parts[3])]:
        with open(artifact.path, "wb") as file:
            numpy.savez_compressed(file, images=images, labels=labels)
        artifact.metadata["images"] = len(labels)
        print(f"{artifact.name}: {len(labels)} images")


@dsl.component(**learning)
def train_linear(training: Input[Dataset], regularization: float, model: Output[Model]):
    """Logistic regression; a larger `regularization` makes a smoother model."""
    import joblib
    import numpy
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = numpy.load(training.path)
    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(C=1 / regularization, max_iter=1000)
    )
    classifier.fit(data["images"], data["labels"])
    joblib.dump(classifier, model.path)
    model.metadata["kind"] = "logistic regression"
    model.metadata["framework"] = "scikit-learn"
    print(f"learned {len(data['labels'])} images in {classifier[-1].n_iter_[0]} iterations")


@dsl.component(**learning)
def train_forest(training: Input[Dataset], trees: int, seed: int, model: Output[Model]):
    """A random forest."""
    import joblib
    import numpy
    from sklearn.ensemble import RandomForestClassifier

    data = numpy.load(training.path)
    classifier = RandomForestClassifier(n_estimators=trees, random_state=seed)
    classifier.fit(data["images"], data["labels"])
    joblib.dump(classifier, model.path)
    model.metadata["kind"] = "random forest"
    model.metadata["framework"] = "scikit-learn"
    print(f"learned {len(data['labels'])} images with {trees} trees")


@dsl.component(**learning)
def evaluate(
    model: Input[Model],
    test: Input[Dataset],
    curve_digit: int,
    metrics: Output[Metrics],
    mistakes: Output[ClassificationMetrics],
    predictions: Output[Dataset],
) -> float:
    """Reads the test images; returns the share that was read correctly.

    `mistakes` counts which digit was taken for which, and has the ROC curve of telling
    `curve_digit` from all others.
    """
    import joblib
    import numpy
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, roc_curve

    classifier = joblib.load(model.path)
    data = numpy.load(test.path)
    truth = data["labels"]
    chances = classifier.predict_proba(data["images"])
    guesses = classifier.classes_[chances.argmax(axis=1)]

    accuracy = float(accuracy_score(truth, guesses))
    metrics.log_metric("accuracy", accuracy)
    metrics.log_metric("f1", float(f1_score(truth, guesses, average="macro")))
    metrics.log_metric("log_loss", float(log_loss(truth, chances)))

    names = [str(digit) for digit in classifier.classes_]
    mistakes.log_confusion_matrix(names, confusion_matrix(truth, guesses).tolist())
    false_rate, true_rate, thresholds = roc_curve(truth == curve_digit, chances[:, curve_digit])
    thresholds[0] = 1.0  # scikit-learn starts at infinity, for which JSON has no word
    mistakes.log_roc_curve(false_rate.tolist(), true_rate.tolist(), thresholds.tolist())

    with open(predictions.path, "wb") as file:
        numpy.savez_compressed(file, guesses=guesses)
    predictions.metadata["model"] = model.metadata["kind"]
    print(f"{model.metadata['kind']}: {accuracy:.1%} of {len(truth)} images read correctly")
    return accuracy


@dsl.component(**learning)
def compare(
    test: Input[Dataset],
    linear: Input[Dataset],
    forest: Input[Dataset],
    report: Output[HTML],
    summary: Output[Markdown],
) -> NamedTuple("Winner", [("best", str), ("accuracy", float)]):
    """Names the better model, and draws every image that one of them misread."""
    import numpy

    data = numpy.load(test.path)
    truth = data["labels"]
    guesses = {each.metadata["model"]: numpy.load(each.path)["guesses"] for each in (linear, forest)}
    scores = {name: float((guess == truth).mean()) for name, guess in guesses.items()}
    best = max(scores, key=scores.get)

    def draw(pixels):
        """An 8 × 8 image as SVG."""
        squares = "".join(
            f'<rect x="{place % 8}" y="{place // 8}" width="1" height="1" opacity="{ink / 16:.2f}"/>'
            for place, ink in enumerate(pixels)
            if ink
        )
        return f'<svg viewBox="0 0 8 8" width="64" height="64">{squares}</svg>'

    figures = []
    for number, (digit, pixels) in enumerate(zip(truth, data["images"])):
        wrong = {name: guess[number] for name, guess in guesses.items() if guess[number] != digit}
        if wrong:
            said = "<br>".join(f"{name}: {guess}" for name, guess in wrong.items())
            figures.append(
                f"<figure>{draw(pixels)}<figcaption>a {digit}<br>{said}</figcaption></figure>"
            )
    rows = "".join(f"<tr><td>{name}<td>{score:.1%}" for name, score in scores.items())
    with open(report.path, "w") as file:
        file.write(
            f"""<!doctype html><meta charset="utf-8"><title>Handwritten digits</title>
<style>
  body {{ font: 15px/1.5 sans-serif; margin: 2em auto; max-width: 60em }}
  td, th {{ text-align: left; padding-right: 2em }}
  figure {{ display: inline-block; margin: .6em; font-size: 12px; vertical-align: top }}
</style>
<h1>Handwritten digits</h1>
<p>The {best} is better, on {len(truth)} images that neither model had seen.
<table><tr><th>model<th>read correctly{rows}</table>
<h2>{len(figures)} images that were misread</h2>
{"".join(figures)}
"""
        )
    with open(summary.path, "w") as file:
        file.write(f"The **{best}** is better.\n\n| model | read correctly |\n|---|---|\n")
        for name, score in scores.items():
            file.write(f"| {name} | {score:.1%} |\n")
    print(f"best: {best} with {scores[best]:.1%}")
    return (best, round(scores[best], 4))


@dsl.pipeline(name="digits")
def digits(
    test_share: float = 0.25,
    regularization: float = 1.0,
    trees: int = 100,
    curve_digit: int = 8,
    seed: int = 0,
) -> NamedTuple("Outputs", [("best", str), ("accuracy", float)]):
    """Which reads handwritten digits better, a linear model or a forest?"""
    loaded = load()
    parts = split(digits=loaded.outputs["digits"], test_share=test_share, seed=seed)
    linear = train_linear(training=parts.outputs["training"], regularization=regularization)
    forest = train_forest(training=parts.outputs["training"], trees=trees, seed=seed)
    judged = [
        evaluate(
            model=trained.outputs["model"], test=parts.outputs["test"], curve_digit=curve_digit
        )
        for trained in (linear, forest)
    ]
    compared = compare(
        test=parts.outputs["test"],
        linear=judged[0].outputs["predictions"],
        forest=judged[1].outputs["predictions"],
    )
    outputs = NamedTuple("Outputs", [("best", str), ("accuracy", float)])
    return outputs(best=compared.outputs["best"], accuracy=compared.outputs["accuracy"])


if __name__ == "__main__":
    compiler.Compiler().compile(digits, __file__.replace(".py", ".yaml"))
