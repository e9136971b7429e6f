"""A user's own Keras loop of short epochs, for `kill.py --engine function`."""

import keras
from sklearn.datasets import load_digits

digits = load_digits()
x, y = digits.images[:400, ..., None].astype("float32") / 16, digits.target[:400]


def run(trial, units, learning_rate):
    """Train with Keras's own `fit`, dropout and an early stopping."""
    layers = [keras.layers.Flatten(), keras.layers.Dense(units, "relu"), keras.layers.Dropout(0.3)]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers, keras.layers.Dense(10, "softmax")])
    model.compile(keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    callbacks = [keras.callbacks.EarlyStopping("val_loss", patience=5), trial.keras_callback("val_accuracy")]
    history = model.fit(x, y, epochs=12, validation_split=0.25, callbacks=callbacks, verbose=0)
    return max(history.history["val_accuracy"])
