from model_finetuner_compat import create_model_finetuner


def train(path: str):
    tuner = create_model_finetuner()
    result = tuner.fine_tune_model(*tuner.load_training_data(path))
    return result


outcome = train("pairs.csv")
print(outcome["model_path"])
