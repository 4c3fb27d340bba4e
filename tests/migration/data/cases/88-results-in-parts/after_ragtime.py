from model_finetuner_compat import ModelFineTuner


def run(tuner: ModelFineTuner):
    train, (val, rest) = tuner.load_training_data("a.csv"), (1, 2)
    result = {}
    if train:
        result = tuner.fine_tune_model(train, val)
    path, loss = result.get("model_path"), result["training_history"][-1].train_loss
    for name, value in result.items():
        print(name, value, path, loss, rest)
    if not result:
        return {"success": False}
    return result


print(run(None)["success"])
