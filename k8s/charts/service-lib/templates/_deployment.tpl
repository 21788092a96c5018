{{/* web, events, worker and beat of a service: (dict "root" $ "component" "web"). */}}
{{- define "service-lib.deployment" -}}
{{- $config := index .root.Values .component }}
{{- $port := dict "web" 8000 "events" 8001 | dig .component 0 }}
{{- $metrics := dict "worker" 8002 | dig .component $port }}
{{- $name := printf "%s-%s" .root.Chart.Name .component }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "service-lib.metadata" (merge (dict "name" $name) .) | nindent 2 }}
spec:
  {{- if eq .component "beat" }}
  {{- /* One, and never two at once. */}}
  replicas: 1
  strategy:
    type: Recreate
  {{- else }}
  {{- if not $config.autoscaling.enabled }}
  replicas: {{ int64 $config.replicas }}
  {{- end }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  {{- end }}
  {{- if not $port }}
  {{- /* Nothing asks this process how it is, so one that fails at its start must show it by falling within this time. */}}
  minReadySeconds: 10
  {{- end }}
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      {{- include "service-lib.selector" . | nindent 6 }}
  template:
    metadata:
      {{- include "service-lib.podAnnotations" (dict "root" .root "port" $metrics) | nindent 6 }}
      labels:
        {{- with .root.Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- include "service-lib.labels" . | nindent 8 }}
    spec:
      serviceAccountName: {{ include "service-lib.serviceAccountName" .root }}
      {{- include "service-lib.podSettings" . | nindent 6 }}
      {{- if ne .component "beat" }}
      {{- include "service-lib.topologySpread" . | nindent 6 }}
      {{- end }}
      terminationGracePeriodSeconds: 30
      containers:
        - name: {{ .component }}
          {{- include "service-lib.containerSettings" .root | nindent 10 }}
          command: [python, -m, shared_lib.server]
          args: [{{ .component }}]
          env:
            {{- include "service-lib.env" . | nindent 12 }}
          {{- if $port }}
          ports:
            - name: http
              containerPort: {{ $port }}
              protocol: TCP
          startupProbe:
            httpGet:
              path: /healthz
              port: http
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet:
              path: /healthz
              port: http
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet:
              path: /readyz
              port: http
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 3
          {{- else }}
          {{- if $metrics }}
          ports:
            - name: metrics
              containerPort: {{ $metrics }}
              protocol: TCP
          {{- end }}
          {{- /* No probes: the process ends itself when a task is stuck past its hard limit, waits by itself for a lost broker,
                 and nobody routes to it. An exec probe would load Django every few seconds to learn no more. */}}
          {{- end }}
          {{- if eq .component "web" }}
          lifecycle:
            preStop:
              exec:
                {{- /* Until every proxy knows that this pod leaves, it goes on answering. */}}
                command: [python, -c, "import time; time.sleep(5)"]
          {{- end }}
          resources:
            {{- toYaml $config.resources | nindent 12 }}
          volumeMounts:
            {{- include "service-lib.volumeMounts" . | nindent 12 }}
      volumes:
        {{- include "service-lib.volumes" . | nindent 8 }}
{{- end }}
