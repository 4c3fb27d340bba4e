"""Turns the ratings into a better embedding model."""

import glob
import os

from conport_client import get_conport_client
from documents import Collection
from model_finetuner import FineTuningConfig, create_model_finetuner
from training_data_generator import create_training_data_generator


def make_training_data(folder):
    client = get_conport_client()
    generator = create_training_data_generator(
        conport_client=client,
        workspace_id=client.get_workspace_id(),
        chroma_db=Collection(),
        embedding_model=os.getenv("EMBEDDING_MODEL", "mistral"),
    )
    generator.max_pairs_per_query = 3
    result = generator.generate_training_data(days_back=30, output_path=folder)
    if not result["success"]:
        raise SystemExit(f"No training data: {result['error']}")
    total = result["data_statistics"]["total_training_pairs"]
    return glob.glob(os.path.join(folder, "training_data_*.csv"))[0], total


def train(data_file, folder):
    config = FineTuningConfig(
        base_model_name=os.environ["BASE_MODEL_NAME"],
        output_model_path=folder,
        batch_size=4,
        num_epochs=2,
        learning_rate=1e-3,
        warmup_steps=0,
        evaluation_steps=3,
        save_steps=3,
        max_seq_length=64,
        use_amp=False,
        validation_split=0.25,
    )
    tuner = create_model_finetuner(config)
    if not tuner.load_base_model():
        raise SystemExit("The base model cannot be loaded")
    train_examples, val_examples = tuner.load_training_data(data_file, "csv")
    result = tuner.fine_tune_model(train_examples, val_examples, model_name_suffix="helpdesk")
    if not result["success"]:
        raise SystemExit(f"Training failed: {result['error']}")
    last_epoch = result["training_history"][-1]
    loss = getattr(last_epoch, "train_loss", None)
    evaluation = tuner.evaluate_model(result["model_path"], data_file)
    models = [model["name"] for model in tuner.list_available_models()]
    deleted = tuner.delete_model(result["model_name"])
    return {
        "model_name": result["model_name"],
        "loss": loss,
        "score": evaluation["evaluation_score"],
        "samples": evaluation["num_test_samples"],
        "models": models,
        "deleted": deleted,
        "left": [model["name"] for model in tuner.list_available_models()],
    }
